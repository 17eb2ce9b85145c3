INSERT INTO t VALUES ('c', 'y');
