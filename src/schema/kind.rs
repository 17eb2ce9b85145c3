//! What a statement does to its table.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// There is one before and after it.
    #[default]
    Alter,
    /// There is none before it.
    Create,
    /// There is none after it.
    Drop,
}

impl Kind {
    /// The table comes or goes as a whole: no second one, and no row that would have to be copied or kept current.
    pub fn whole(self) -> bool {
        match self {
            Kind::Alter => false,
            Kind::Create | Kind::Drop => true,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Kind::Alter => "alter",
            Kind::Create => "create",
            Kind::Drop => "drop",
        }
    }
}
