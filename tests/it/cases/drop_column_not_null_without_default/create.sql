CREATE TABLE t (id int PRIMARY KEY, a varchar(20), n int NOT NULL, c varchar(9) NOT NULL, d date NOT NULL, e enum('p','q') NOT NULL, j json NOT NULL, b blob NOT NULL);
INSERT INTO t VALUES (1, 'x', 1, 'c', '2020-01-01', 'q', '{"a": 1}', 'blob');
