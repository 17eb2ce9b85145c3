CREATE TABLE t (id int PRIMARY KEY, a varchar(20), b text);
INSERT INTO t VALUES (1, 'x', 'some words'), (2, NULL, NULL);
