CREATE TABLE t (id int PRIMARY KEY, e enum('a'));
INSERT INTO t VALUES (1, 'a'), (2, NULL);
