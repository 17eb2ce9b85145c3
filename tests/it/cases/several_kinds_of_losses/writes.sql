INSERT INTO t VALUES (3, 'y', 3, 'p', 3);
