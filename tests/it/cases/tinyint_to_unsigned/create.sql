CREATE TABLE t (id int PRIMARY KEY, v tinyint);
INSERT INTO t VALUES (1, 0), (2, 127), (3, NULL);
