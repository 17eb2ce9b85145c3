ALTER TABLE t MODIFY v enum('a','b'), MODIFY s set('a','b')
