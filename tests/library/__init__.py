"""What tests share: records, productions, repositories, servers, and behaviour that several backends have."""
