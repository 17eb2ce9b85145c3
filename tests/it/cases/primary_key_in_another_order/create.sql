CREATE TABLE t (a int NOT NULL, b int NOT NULL, id int, PRIMARY KEY (a, b));
INSERT INTO t VALUES (1, 2, 1), (2, 1, 2);
