CREATE TABLE t (id int PRIMARY KEY, v varchar(9) NOT NULL);
INSERT INTO t VALUES (1, 'a'), (2, 'b');
