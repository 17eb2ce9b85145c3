CREATE TABLE t (id int PRIMARY KEY, a varchar(20) DEFAULT 'x', n int);
INSERT INTO t VALUES (1, 'x', 1);
