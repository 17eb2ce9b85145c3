CREATE TABLE t (id int PRIMARY KEY, v time);
INSERT INTO t VALUES (1, '838:59:59'), (2, '-838:59:59'), (3, '00:00:01');
