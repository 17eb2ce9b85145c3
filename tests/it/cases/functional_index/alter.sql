ALTER TABLE t ADD KEY f ((lower(a))), ADD UNIQUE KEY fu ((n * 2));
