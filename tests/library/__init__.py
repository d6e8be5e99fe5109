"""What tests share: records, productions, repositories, servers, and what several backends do."""
