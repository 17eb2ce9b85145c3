ALTER TABLE t MODIFY v enum('a','b');
