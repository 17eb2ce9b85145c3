CREATE TABLE t (id int PRIMARY KEY, a varchar(20), j json);
INSERT INTO t VALUES (1, 'x', '[1, 2]'), (2, NULL, NULL);
