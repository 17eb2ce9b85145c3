ALTER TABLE t MODIFY v enum('a','x','b');
