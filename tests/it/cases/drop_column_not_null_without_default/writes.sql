INSERT INTO t VALUES (3, 'y', 3, 'd', '2021-01-01', 'p', '[]', '');
