INSERT INTO t (id, m, n, c) VALUES (3, '10:00:00.5', '838:59:59', 8388607);
