CREATE TABLE t (id int PRIMARY KEY, a varchar(20), title varchar(30), n int NOT NULL DEFAULT 4, d datetime(6) NULL);
INSERT INTO t VALUES (1, 'x', 'one', 1, '2020-01-01 01:02:03.456789'), (2, NULL, NULL, 2, NULL);
