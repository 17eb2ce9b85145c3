CREATE TABLE t (id int PRIMARY KEY, a varchar(20));
INSERT INTO t VALUES (1, 'x'), (2, NULL);
