CREATE TABLE t (id int NOT NULL, a varchar(20) NOT NULL, n int NOT NULL, PRIMARY KEY (id), UNIQUE KEY nk (n), KEY ak (a));
INSERT INTO t VALUES (1, 'x', 10), (2, 'w', 20);
