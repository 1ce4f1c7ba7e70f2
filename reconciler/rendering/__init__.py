"""What templates may say, the engine that fills them, and the fence around what they make. Pure."""
