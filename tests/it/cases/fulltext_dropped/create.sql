CREATE TABLE t (id int PRIMARY KEY, a varchar(20), b text, FULLTEXT KEY ft (b));
INSERT INTO t VALUES (1, 'x', 'some words'), (2, NULL, NULL);
