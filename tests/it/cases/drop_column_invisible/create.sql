CREATE TABLE t (id int PRIMARY KEY, a varchar(20), h int DEFAULT 3 INVISIBLE);
INSERT INTO t (id, a, h) VALUES (1, 'x', 5), (2, NULL, 6);
