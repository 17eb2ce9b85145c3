CREATE TABLE t (id int PRIMARY KEY, a varchar(20));
INSERT INTO t VALUES (1, 'x'), (500, 'y');
