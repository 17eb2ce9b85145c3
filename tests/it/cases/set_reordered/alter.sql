ALTER TABLE t MODIFY v set('c','b','a');
