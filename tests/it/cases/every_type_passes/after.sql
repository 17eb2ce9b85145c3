UPDATE t SET q = 'new', z = '[]' WHERE id = 2;
