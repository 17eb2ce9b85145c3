UPDATE t SET `from` = 9, `or``der` = 4 WHERE id = 1;
