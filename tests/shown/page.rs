//! The page of `rsc report`.

use rsc::lifecycle::verification::Outcome;
use rsc::output::page::html;

use crate::changes::{all, named, verification};
use crate::snapshot::is_as_before;

const SERVER: &str = "db.example.org:3306";

fn of(name: &str) -> String {
    let report = named(name);
    let verifications: Vec<_> = report.verification.clone().into_iter().collect();
    html(&report, &verifications, SERVER)
}

/// One element a line, so that a difference can be read.
fn lines(page: &str) -> String {
    let (head, body) = page.split_once("<body>").expect("a body");
    let head = head.split("<style>").next().unwrap_or(head);
    // It changes with every version of rsc.
    let body = body.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    format!("{head}\n<body>{}", body.replace("><", ">\n<"))
}

#[test]
fn the_page_of_a_change_is_as_before() {
    for name in ["reverted", "copying-throttled", "failed", "instant"] {
        is_as_before(&format!("page/{name}.html"), &lines(&of(name)));
    }
}

#[test]
fn no_page_needs_a_network_or_a_script() {
    for (name, _) in all().into_iter().filter(|(name, _)| *name != "hostile") {
        let page = of(name);
        for absent in ["<script", "http://", "https://", "src=", "@import", "url(", "href="] {
            assert!(!page.contains(absent), "the page of {name} has {absent}");
        }
        assert!(page.contains("default-src 'none'"));
    }
}

/// Every `<` that is not of the template's own elements would be someone else's.
#[test]
fn what_a_server_says_is_text_whatever_it_looks_like() {
    let report = named("hostile");
    let verifications = [verification(Some(Outcome::Differs))];
    let page = html(&report, &verifications, "<script>alert(3)</script>");
    for absent in ["<script", "<img", "onerror=alert(2)>&\""] {
        assert!(!page.contains(absent), "{absent} came through");
    }
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "the name is shown");
    let opened = |name: &str| page.matches(&format!("<{name}")).count();
    let closed = |name: &str| page.matches(&format!("</{name}>")).count();
    for element in ["pre", "code", "table", "section", "svg", "title", "style"] {
        assert_eq!(opened(element), closed(element), "{element}");
    }
}
