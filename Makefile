all:
	@echo "house under construction"
