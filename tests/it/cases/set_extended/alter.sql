ALTER TABLE t MODIFY v set('a','b','c');
