INSERT INTO t VALUES (3, 'y', 'q', 3);
