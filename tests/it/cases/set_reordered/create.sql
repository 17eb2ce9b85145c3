CREATE TABLE t (id int PRIMARY KEY, v set('a','b','c'));
INSERT INTO t VALUES (1, 'a,b'), (2, ''), (3, 'c');
