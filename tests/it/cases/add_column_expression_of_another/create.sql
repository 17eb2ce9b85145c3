CREATE TABLE t (id int PRIMARY KEY, a varchar(20), n int);
INSERT INTO t VALUES (1, 'x', 4), (2, NULL, NULL);
