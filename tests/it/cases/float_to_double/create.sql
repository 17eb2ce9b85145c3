CREATE TABLE t (id int PRIMARY KEY, v float);
INSERT INTO t VALUES (1, 1.5), (2, -0.25), (3, NULL);
