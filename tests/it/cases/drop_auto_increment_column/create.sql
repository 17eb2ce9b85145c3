CREATE TABLE t (n int NOT NULL AUTO_INCREMENT, id int PRIMARY KEY, a varchar(20), KEY n_key (n));
INSERT INTO t (id, a) VALUES (1, 'x'), (2, NULL);
