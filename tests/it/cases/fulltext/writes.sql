INSERT INTO t VALUES (3, 'y', 'more words');
