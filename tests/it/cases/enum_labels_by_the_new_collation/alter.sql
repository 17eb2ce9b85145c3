ALTER TABLE t MODIFY v enum('b','a') CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci;
