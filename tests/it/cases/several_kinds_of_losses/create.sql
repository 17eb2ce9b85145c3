CREATE TABLE t (id int PRIMARY KEY, a varchar(5), n tinyint, e enum('p'), u int, UNIQUE KEY uk (u));
INSERT INTO t VALUES (1, 'x', 1, 'p', 1), (2, NULL, 2, NULL, 2);
