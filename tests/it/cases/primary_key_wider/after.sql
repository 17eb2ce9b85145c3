UPDATE t SET a = 'after' WHERE id = 1;
INSERT INTO t (a) VALUES ('more');
