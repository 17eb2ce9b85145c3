INSERT INTO t (a) VALUES ('y');
