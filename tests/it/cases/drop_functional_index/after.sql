INSERT INTO t VALUES (20, 'twenty', 1);
