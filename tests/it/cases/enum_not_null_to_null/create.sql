CREATE TABLE t (id int PRIMARY KEY, v enum('a','b') NOT NULL, s set('a','b') NOT NULL);
INSERT INTO t VALUES (1, 'a', 'a,b'), (2, 'b', '');
