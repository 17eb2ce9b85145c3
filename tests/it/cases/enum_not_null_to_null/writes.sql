INSERT INTO t VALUES (9, 'b', 'b');
