INSERT INTO t VALUES (3, 'y', 1, 2, 3, 4, 5);
