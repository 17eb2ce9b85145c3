UPDATE t SET v = '2021-01-01' WHERE id = 1;
UPDATE t SET v = 'soon' WHERE id = 2;
