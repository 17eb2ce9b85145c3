CREATE TABLE t (id int PRIMARY KEY, a varchar(20), n int);
INSERT INTO t VALUES (1, 'x', 1), (2, NULL, 2);
