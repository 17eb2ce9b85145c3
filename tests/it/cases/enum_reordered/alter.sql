ALTER TABLE t MODIFY v enum('c','b','a');
