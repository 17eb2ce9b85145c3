CREATE TABLE t (id int PRIMARY KEY, a varchar(20), n int, UNIQUE KEY na (n, a));
INSERT INTO t VALUES (1, 'x', 10), (2, 'w', 20);
