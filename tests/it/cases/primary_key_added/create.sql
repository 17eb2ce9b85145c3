CREATE TABLE t (id int NOT NULL, a varchar(20), UNIQUE KEY u (id));
INSERT INTO t VALUES (1, 'x'), (2, NULL);
