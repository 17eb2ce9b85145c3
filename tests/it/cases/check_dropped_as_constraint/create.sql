CREATE TABLE t (id int PRIMARY KEY, a varchar(20), n int, CONSTRAINT zz_first CHECK (n < 100), CHECK (n > -100), CONSTRAINT aa_last CHECK (a <> 'bad'));
INSERT INTO t VALUES (1, 'x', 1), (2, NULL, 2);
