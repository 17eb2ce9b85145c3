INSERT INTO t (a) VALUES ('new');
